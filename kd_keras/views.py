"""Shows the augmented views of a configuration in one image.

Writes a PNG file with a row for each of some training images: the image as it
is, and the views that the student sees of it in its first epochs. Nothing is
trained, and no teacher is needed.

Examples:
  kd-keras views --config=cifar10
  kd-keras views --config.data.name=folder --config.data.data_dir=photos \\
      --config.data.image_size=224 --config.data.augment=photos_strong
  kd-keras views --config.data.augment.rand_augment=2 --count=8 --views=10

Training uses the same views: a view depends on the seed, its number and the
image alone. --help-config shows every field of the configuration.
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

from absl import flags

from kd_keras.config import config_flags
from kd_keras.utils import command_line, files

flags.adopt_module_key_flags(command_line)
flags.adopt_module_key_flags(config_flags)
_COUNT = flags.DEFINE_integer(
    "count",
    4,
    "Training images to show, spread over the set.",
    lower_bound=1,
    upper_bound=32,
)
_VIEWS = flags.DEFINE_integer(
    "views",
    7,
    "Views of each image, those of the first epochs.",
    lower_bound=1,
    upper_bound=32,
)
_OUTPUT = flags.DEFINE_string("output", "views.png", "PNG file to write.")


def main():
    config = config_flags.config()
    files.check_output(_OUTPUT.value, by="views")
    with command_line.importing():
        from kd_keras.reporting import view_sheet

    sheet = view_sheet.of_config(config, count=_COUNT.value, views=_VIEWS.value)
    contents = view_sheet.png(
        sheet, by="views", command=command_line.command("kd_keras.views")
    )
    files.write_output(_OUTPUT.value, contents, by="views")
    print(f"{_OUTPUT.value}: {sheet.width} x {sheet.height}")


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
