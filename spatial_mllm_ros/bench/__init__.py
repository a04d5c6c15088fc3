"""Benchmarks: each module measures one stage against a plain reference, in turns, in one process.

Takes sizes and a number of rounds, gives medians, spreads and ratios. Nothing here is imported by a stage.
"""
