"""Factorization: one layer's weights as a product, so that thinner layers in a row compute nearly the same.

``forms`` has a class for each kind of product, ``plan`` chooses forms and ranks, ``replace`` puts the factors into a
network and proves them.
"""
