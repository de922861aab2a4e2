"""Labels beside points keep out of each other's way and within their axes."""

import itertools

import matplotlib.pyplot as plt

from mis.figures.style import label_points, styled


def test_labels_stay_within_the_axes_and_apart():
    # Two at the right end, where the nearest place is beyond the axes and the second covers the other's.
    xs, ys, names = [0.0, 1.0, 1.0, 0.5], [0.0, 1.0, 0.97, 0.5], ["left", "uniform-8", "uniform-6", "middle"]
    with styled():
        figure, axes = plt.subplots(figsize=(3, 3), layout="constrained")
        axes.plot(xs, ys, "o")
        axes.margins(x=0.12)
        figure.draw_without_rendering()
        label_points(axes, xs, ys, names)
        renderer = figure.canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == names
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    plt.close(figure)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
