"""Reads the logits of a probe teacher from the embeddings of its backbone."""

from kd_keras.store.reader import LogitStore
from kd_keras.teachers.outputs import Outputs
from kd_keras.utils import suggestions


def embeddings_alone(opened, layer):
    """Chooses one embedding of a store, to read it alone.

    Args:
        opened: `LogitStore`.
        layer: str, the name of the feature that is the embedding.

    Returns:
        `LogitStore`, with this feature alone.

    Raises:
        ValueError: if the store does not have it, or only unpooled.
    """
    held = opened.manifest.get("features", [])
    names = [record.get("teacher", "") for record in held]
    vectors = [
        record
        for record in held
        if record.get("teacher", "") == layer and len(record["shape"]) == 1
    ]
    if not vectors:
        shown = ", ".join(
            f"{name!r} of shape {tuple(record['shape'])}"
            for name, record in zip(names, held)
        )
        raise ValueError(
            "a probe needs a store with the embedding of its backbone, a "
            f"vector an image, named {layer!r}. Received: {opened.path} with "
            f"{shown or 'no features'}.{suggestions.did_you_mean(layer, names)}"
        )
    entries = {key: x for key, x in vectors[0].items() if key != "shape"}
    return opened.choose([entries])


class ProbedStore(LogitStore):
    """A store of embeddings that returns the logits of a probe.

    Its features, if any are chosen, are read beside the logits.

    Args:
        opened: `LogitStore`.
        probe: `probe.Probe`.
        record: dict of JSON values that identifies the probe.
        class_names: list of str, the classes of the probe, or None.

    Raises:
        ValueError: as `embeddings_alone`, or if the embeddings are of
            another size than the probe's.
    """

    def __init__(self, opened, probe, *, record, class_names=None):
        super().__init__(opened.path, opened.manifest)
        # Shared, so that files are compared with their checksums once.
        self._parts = opened._parts
        alone = embeddings_alone(opened, probe.layer)
        if alone.feature_shapes != [probe.kernel.shape[:1]]:
            raise ValueError(
                "a probe needs embeddings of its own size. Received: "
                f"{opened.path} with {alone.feature_shapes[0]}, a probe of "
                f"{probe.kernel.shape[:1]}"
            )
        self._embeddings = alone
        self._probe = probe
        self.num_classes = probe.num_classes
        self.manifest = {
            **opened.manifest,
            "num_classes": probe.num_classes,
            "probe": record,
        }
        # The backbone's names are of other classes.
        self.manifest.pop("class_names", None)
        if class_names:
            self.manifest["class_names"] = list(class_names)

    def logits(self, ids, view=0, part="train"):
        (embedding,) = self._embeddings.features(ids, view, part)
        return self._probe.logits(embedding).numpy()

    def lookup(self, ids, view=0, part="train"):
        wanted = [*self._embeddings._features, *self._features]
        embedding, *others = self._lookup(wanted, ids, view, part)
        return Outputs(self._probe.logits(embedding), tuple(others))
