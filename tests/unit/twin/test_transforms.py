"""Machine code of Winograd's transforms: held equal to the products of matrices that they stand for."""

import numpy as np
import pytest
import torch

from bench.twin.transforms import LANES, PRODUCTS, TILES, WEIGHTS, Grid, transforms


@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 7), (1, 3)])
def test_a_tile_is_transformed_along_both_axes_and_reads_zeros_beyond_the_image(side, height, width):
    matrix, reach, channels = np.array(TILES[side]), side + 2, 2 * LANES
    images = torch.randn(2, height, width, channels, generator=torch.Generator().manual_seed(0))
    grid = Grid(height, width, channels, -(-height // side), -(-width // side))
    count = 2 * grid.down * grid.across
    found = torch.full((count, reach**2, channels), float("nan"))
    transforms(side).into(images, torch.zeros(channels), found, range(count), grid)
    padded = np.pad(images.double().numpy(), ((0, 0), (1, reach), (1, reach), (0, 0)))
    tiles = (
        padded[image, down * side : down * side + reach, across * side : across * side + reach]
        for image in range(2)
        for down in range(grid.down)
        for across in range(grid.across)
    )
    expected = np.stack([np.einsum("ai,ijc,bj->abc", matrix, tile, matrix) for tile in tiles])
    torch.testing.assert_close(found.double().numpy(), expected.reshape(found.shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", [2, 4])
def test_products_come_back_with_the_bias_and_never_beyond_the_image(side):
    matrix, products, channels, height, width = np.array(PRODUCTS[side]), (side + 2) ** 2, LANES, 7, 5
    source = torch.Generator().manual_seed(0)
    grid = Grid(height, width, channels, -(-height // side), -(-width // side))
    count = 2 * grid.down * grid.across
    given, bias = torch.randn(count, products, channels, generator=source), torch.randn(channels, generator=source)
    room = torch.full((3, height, width, channels), -77.0)  # an image more than is written
    transforms(side).out(given, bias, room[:2], range(count), grid)
    squares = given.double().numpy().reshape(2, grid.down, grid.across, side + 2, side + 2, channels)
    whole = np.einsum("ai,ndeijc,bj->ndaebc", matrix, squares, matrix)
    whole = whole.reshape(2, grid.down * side, grid.across * side, channels)[:, :height, :width]
    torch.testing.assert_close(room[:2].double().numpy(), whole + bias.double().numpy(), rtol=1e-5, atol=1e-4)
    assert (room[2] == -77).all()


def test_a_part_of_the_tiles_is_written_from_the_start_of_its_memory():
    images = torch.randn(2, 8, 8, LANES, generator=torch.Generator().manual_seed(0))
    grid, border = Grid(8, 8, LANES, 2, 2), torch.zeros(LANES)
    whole, part = torch.empty(8, 36, LANES), torch.empty(3, 36, LANES)
    transforms(4).into(images, border, whole, range(8), grid)
    transforms(4).into(images, border, part, range(2, 5), grid)
    assert torch.equal(part, whole[2:5])


@pytest.mark.parametrize("side", [2, 4])
def test_the_three_matrices_convolve(side):
    into, kernel, out = (np.array(matrix[side]) for matrix in (TILES, WEIGHTS, PRODUCTS))
    source = np.random.default_rng(0)
    signal, weights = source.normal(size=side + 2), source.normal(size=3)
    found = out @ ((kernel @ weights) * (into @ signal))
    np.testing.assert_allclose(found, np.correlate(signal, weights, "valid"), rtol=1e-12)


def test_memory_that_is_not_in_order_is_refused():
    images = torch.zeros(2, 8, LANES, 8).transpose(2, 3)
    with pytest.raises(ValueError, match="not contiguous"):
        transforms(4).into(images, torch.zeros(LANES), torch.empty(8, 36, LANES), range(8), Grid(8, 8, LANES, 2, 2))
