"""Section `store`: stored logits of the teacher."""

from kd_keras.config import field
from kd_keras.config.field import Field, Section

STORE_DTYPES = ("float16", "float32")

SECTION = Section(
    "store",
    "Stored logits of the teacher for each view; see kd_keras.store.",
    (
        Field(
            "path",
            "",
            "Empty: the teacher runs in every step. A directory that "
            "kd-keras label wrote, which is copied to local disk from gs://, "
            "s3:// or az://: the teacher is not loaded. auto: "
            "<workdir>/store, which is written first if it is missing.",
        ),
        Field(
            "views",
            10,
            "Views of each example that are stored; epoch e shows view e "
            "modulo this number. kd-keras label --from stores those of the "
            "file.",
            field.COUNT,
        ),
        Field(
            "share_views",
            False,
            "Stores one prediction of each image, without augmentation, and "
            "uses it for all views of the image, however they are augmented.",
        ),
        Field(
            "dtype",
            "float16",
            "Type of a stored number, of 2 or 4 bytes.",
            field.one_of(STORE_DTYPES),
        ),
        Field(
            "top_k",
            0,
            "Stores only the logits of this many most likely classes, and "
            "the probability of the rest; 0 stores all.",
            field.COUNT_OR_ZERO,
        ),
        Field(
            "shard_views",
            0,
            "Approximate number of views in a file, which is the most that "
            "an interruption can lose. Fewer if they are large: a file is of "
            "about 256 MB at most. 0 takes 5,000, or more such that 128 files "
            "hold all views of the training images.",
            field.number(least=0, most=10**9),
        ),
    ),
)
