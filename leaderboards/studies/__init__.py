"""Questions to stored runs beyond a board, a module each: variance, quality, reproduction, fidelity.

A study is a function of the run store that returns plain records; the command line prints them.
"""
