"""One line for each figure of a report: what it is, its unit, which way is better, and what stands in brackets."""

UNSET = {  # settings that nobody has named, as a report says them
    ("limit", None): "all rows",
    ("maps", None): "of all scenes",
    ("data", None): "rendered for this run",
    ("data", ""): "the hub's",
}
INTERVAL = "In brackets the 95 % interval: where the figure would lie with many more questions of the same kind."
ACCURACY = f"Share of questions answered right, in %; higher is better. {INTERVAL}"
MEANS = {
    "rows": "Number of questions, each answered once in a mode.",
    "spatial mean": "Mean of the accuracies of the spatial categories, distances and sizes among them; each counts alike.",
    "distance and size mean": "Mean of the accuracies of the categories of distances and sizes; each counts alike.",
    "general mean": "Mean of the accuracies of all other categories; each counts alike.",
    "mean of what rows earn": "1 for a right answer, part of it for a number near the truth or a judge's grade; in %.",
}
NUMBERS = (
    "How near numbers come to the truth, in %: 100 for an exact one, less the larger its relative error. Higher is better. "
    + INTERVAL
)
EARNED = (
    "What an answer earns on the mean, in %: 100 for a right one, part of it for a number near the truth or a judge's grade; "
    f"higher is better. {INTERVAL}"
)
USAGE = (
    "Share of rows, in %, for which each map was drawn; maps per row is a count, and neither way is better. "
    "Right with a map and right without are accuracies in % with their 95 % intervals; the model chooses when to draw, so "
    "their difference is no effect of drawing."
)
SURE = (
    "An interval that holds 0 shows no sure difference. p: how likely so large a difference is if there were none, by random "
    "signs of the rows that differ (over rows that count alike McNemar's exact test); small is sure."
)
EFFECTS = (
    "In percentage points: accuracy where the map was drawn minus accuracy on the same questions in the mode text; above 0 "
    f"the map helps. {SURE}"
)
READERS = (
    "Over the questions for which the model read a depth map in that mode. A perfect reader knows the place and the outline of "
    "each object, takes how far it is from the median of the map over its visible pixels, and calculates the answer: what is "
    "missing to 100 the map lacks. The model: its answers in the same mode. In words: its answers to the same questions in the "
    f"mode text. {INTERVAL}"
)
GATES = (
    "A gate is open where its figure reaches the threshold, and sure where the whole interval does. The interval redraws "
    "scenes; C is in percentage points."
)
HEALTH = (
    "Numbers of rows, fewer is better in all but the first. Unreadable replies count as wrong; those refused in vain say that "
    "something cannot be seen that is there; of truncated ones a turn was cut by the token limit; rows that were not scored "
    "count in no figure. Seconds per row: mean time of one answer."
)
COMPARISON = f"In percentage points, first minus second over the same questions; above 0 the first is better. {SURE}"
MAPS = "Each over all pictures. The 95 % interval: where the figure would lie with many more pictures of the same kind."
SEEDS = "The accuracies in % of the runs of each model, one number for each seed; how far they differ is the luck of training."
POOLED = f"Share of questions answered right, in %, over all seeds of a model; higher is better. {INTERVAL}"
BARS = "Share of questions answered right, in %; higher is better. The thin line is the 95 % interval."
DRAWN = "Share of questions, in %, for which each map was drawn; neither way is better."
_ALIGNED = "after the drawn depth was scaled and shifted to fit the true one"
FIGURES = {  # of maps: the name of each in a report, and what it is
    "abs_rel": ("AbsRel, aligned", f"Mean error as a part of the true depth, {_ALIGNED}; lower is better, 0 is perfect."),
    "delta1": (
        "delta1, aligned",
        f"Share of pixels within a factor of 1.25 of the true depth, {_ALIGNED}; higher is better, 1 is perfect.",
    ),
    "delta2": ("delta2, aligned", "As delta1, within a factor of 1.25²."),
    "delta3": ("delta3, aligned", "As delta1, within a factor of 1.25³."),
    "rmse": ("RMSE, aligned (m)", f"Root of the mean squared error in metres, {_ALIGNED}; lower is better."),
    "log10": ("log10, aligned", f"Mean difference of the logarithms to base 10, {_ALIGNED}; lower is better."),
    "silog": ("SILog, aligned", f"100 times the spread of the difference of natural logarithms, {_ALIGNED}; lower is better."),
    "abs_rel_metres": (
        "AbsRel in metres, no alignment",
        "Mean error as a part of the true depth, in metres as drawn; lower is better, 0 is perfect.",
    ),
    "delta1_metres": (
        "delta1 in metres, no alignment",
        "Share of pixels within a factor of 1.25 of the true depth, in metres as drawn; higher is better.",
    ),
    "rmse_metres": ("RMSE in metres, no alignment (m)", "Root of the mean squared error in metres, as drawn; lower is better."),
    "miou": (
        "mIoU, over the data set",
        "Overlap of drawn and true area over their union, of all pictures together, mean over classes; 1 is perfect.",
    ),
    "miou_per_image": (
        "mIoU, mean over pictures",
        "The same for each picture by itself, then the mean over pictures; higher is better, 1 is perfect.",
    ),
    "region_iou": (
        "region IoU, class-agnostic",
        "Overlap over union of each true region with the drawn one that fits best; higher is better, 1 is perfect.",
    ),
    "pq": ("PQ", "Panoptic quality: SQ times RQ by class, then the mean over classes; higher is better, 1 is perfect."),
    "sq": ("SQ", "Mean overlap over union of the objects and areas that were found; higher is better, 1 is perfect."),
    "rq": ("RQ", "How many objects and areas were found and how few invented (an F1 score); higher is better, 1 is perfect."),
    "region_pq": (
        "PQ of regions, class-agnostic",
        "Panoptic quality of regions without classes: SQ times RQ; higher is better, 1 is perfect.",
    ),
    "region_sq": (
        "SQ of regions, class-agnostic",
        "Mean overlap over union of the regions that were found; higher is better, 1 is perfect.",
    ),
    "region_rq": (
        "RQ of regions, class-agnostic",
        "How many regions were found and how few invented (an F1 score); higher is better, 1 is perfect.",
    ),
}
