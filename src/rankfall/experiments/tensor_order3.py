"""Tensor completion at order 3; see `tensor_order`."""

from .tensor_order import experiment

EXPERIMENT = experiment(3, "The published runs end at errors of about 5e-6 from 200 of 512 observations on.")
