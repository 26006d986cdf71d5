"""Pages of HTML that open without a network: reports of clips, studies and robustness."""
