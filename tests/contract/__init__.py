"""The contract suite: what every store promises, run over all of them."""
