import os

from django.conf import settings
from django.http import JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from orders.models import Order


@require_safe
def summary(request):
    """Tells whether the key came from the environment, never the key."""
    from_environment = constant_time_compare(settings.SECRET_KEY, os.environ.get("SECRET_KEY", ""))
    return JsonResponse(
        {"orders": Order.objects.count(), "secret_key_from_environment": from_environment}
    )


@require_safe
def healthz(request):
    return JsonResponse({"status": "ok"})
