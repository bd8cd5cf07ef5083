"""The benchmark's networks and loops in PyTorch, as its users write them."""

import torch
from torch import nn
from torch.nn import functional as F

TEMPERATURE = 4.0


class Normalise(nn.Module):
    def forward(self, x):
        return (x.float() - 120.0) / 64.0


class Airbench(nn.Module):
    """`kd_keras.models.networks.airbench`, with random weights."""

    def __init__(self, widths):
        super().__init__()
        self.normalise = Normalise()
        self.whitening = nn.Conv2d(3, 24, 2)
        self.whitening.requires_grad_(False)
        self.groups = nn.ModuleList()
        channels = 24
        for width in widths:
            group = [
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
            ]
            self.groups.append(nn.ModuleList(group))
            channels = width
        self.head = nn.Linear(channels, 10, bias=False)

    def forward(self, x):
        x = F.silu(self.whitening(self.normalise(x)))
        for first, first_norm, second, second_norm in self.groups:
            x = F.silu(first_norm(F.max_pool2d(first(x), 2)))
            x = F.silu(second_norm(second(x)))
        return self.head(x.amax((2, 3))) / 9


class Block(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.first = nn.Conv2d(channels, filters, 3, stride, 1)
        self.first_norm = nn.BatchNorm2d(filters)
        self.second = nn.Conv2d(filters, filters, 3, 1, 1)
        self.second_norm = nn.BatchNorm2d(filters)
        self.shortcut = (
            nn.Conv2d(channels, filters, 1, stride)
            if stride != 1
            else nn.Identity()
        )

    def forward(self, x):
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x))


def resnet(blocks):
    layers = [Normalise(), nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16)]
    layers.append(nn.ReLU())
    channels = 16
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers.append(Block(channels, filters, stride))
            channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*layers)


NETS = {
    "airbench": (
        lambda: Airbench((64, 128, 128)),
        lambda: Airbench((32, 64, 128)),
    ),
    "resnet": (lambda: resnet(3), lambda: resnet(1)),
}


class Loop:
    """A plain training loop: channels_last, batches prepared in advance."""

    def __init__(self, nets, images, batch_size):
        make_teacher, make_student = NETS[nets]
        form = torch.channels_last
        self.teacher = make_teacher().to(memory_format=form).eval()
        self.student = make_student().to(memory_format=form).train()
        self.optimizer = torch.optim.SGD(
            self.student.parameters(), lr=0.01, momentum=0.85, nesterov=True
        )
        images = torch.from_numpy(images).permute(0, 3, 1, 2)
        self.batches = images.split(batch_size)
        self.stored = [torch.randn(len(b), 10) for b in self.batches]

    def contestants(self):
        """Functions by name; each runs a round and returns its image count."""
        return {
            "live": self.live,
            "stored": self.from_store,
            "stored, bfloat16": self.from_store_in_bfloat16,
        }

    def live(self):
        for batch in self.batches:
            with torch.inference_mode():
                logits = self.teacher(batch)
            # A copy outside inference mode, which autograd accepts.
            self._step(batch, logits.clone())
        return sum(map(len, self.batches))

    def from_store(self):
        for batch, logits in zip(self.batches, self.stored):
            self._step(batch, logits)
        return sum(map(len, self.batches))

    def from_store_in_bfloat16(self):
        for batch, logits in zip(self.batches, self.stored):
            self._step(batch, logits, bfloat16=True)
        return sum(map(len, self.batches))

    def _step(self, batch, teacher_logits, *, bfloat16=False):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = self.student(batch).float()
        loss = TEMPERATURE**2 * F.kl_div(
            F.log_softmax(logits / TEMPERATURE, -1),
            F.log_softmax(teacher_logits / TEMPERATURE, -1),
            reduction="batchmean",
            log_target=True,
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
