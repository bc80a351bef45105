"""Recalibrate: the statistics of evenly spread training images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tinysight.models.spec import ModelSpec
from tinysight.reduction.step import NotApplicable
from tinysight.reduction.weights.recalibrate import Recalibrate


def test_a_first_norm_gets_the_mean_of_the_normalised_images(make_network, make_context):
    network = make_network(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)))
    context = make_context(network)
    inputs = np.concatenate([network.input.apply(sample.read()[0]) for sample in context.train[:8]])
    recalibrated = Recalibrate(images=8, batch_size=4).reduce(network, make_context(network, train=context.train[:8]))
    expected = torch.from_numpy(inputs.mean((0, 2, 3)))
    torch.testing.assert_close(recalibrated.module[0].running_mean, expected, rtol=1e-4, atol=1e-5)


def test_the_record_says_how_many_images(make_network, make_context):
    network = make_network(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)))
    recalibrated = Recalibrate(images=100, batch_size=4).reduce(network, make_context(network))
    assert recalibrated.steps[-1].record == {"images": 9, "batch_size": 4}


def test_a_last_batch_of_one_image_is_no_error_where_a_network_pools_to_one_pixel(make_network, make_context):
    spec = ModelSpec(builder="deeplabv3plus", args={"encoder": "test_resnet", "classes": 2, "decoder_channels": 8})
    network = make_network(spec.build(), spec=spec)
    Recalibrate(images=9, batch_size=8).reduce(network, make_context(network))


def test_a_network_without_batch_norm_is_not_applicable(make_network, make_context):
    network = make_network(nn.Conv2d(3, 2, 1))
    with pytest.raises(NotApplicable, match="no batch norm"):
        Recalibrate().reduce(network, make_context(network))
