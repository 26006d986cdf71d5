"""Heatmaps of landmarks."""

import torch

from echolib.networks.heatmaps import soft_argmax


def test_a_landmark_lies_at_the_mean_of_its_heatmap_in_px_of_the_image():
    heatmaps = torch.full((1, 2, 10, 12), -50.0)
    heatmaps[0, 0, 3, 7] = 0  # a cell is 2 x 2 px, so its centre is 0.5 px past its first
    heatmaps[0, 1, 2, 4] = heatmaps[0, 1, 2, 5] = 0
    assert soft_argmax(heatmaps)[0].tolist() == [[14.5, 6.5], [9.5, 4.5]]
