"""A wide network of one hidden layer for the digits."""

from torch import nn

from bench.models.architecture import register


def wide(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, classes))


register("plugged-wide", wide, shape=(1, 8, 8), says="one hidden layer of 96")
