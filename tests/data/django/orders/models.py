from django.db import models


class Order(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued"
        HANDLED = "handled"

    reference = models.CharField(max_length=40, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED, db_index=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return self.reference

    @classmethod
    def handle_next(cls):
        """Handles the oldest queued order and returns it, or None.

        The update names the state it expects, so two workers never handle the same order.
        """
        for order in cls.objects.filter(state=cls.State.QUEUED):
            queued = cls.objects.filter(pk=order.pk, state=cls.State.QUEUED)
            if queued.update(state=cls.State.HANDLED):
                return order
        return None
