"""Readers of single settings. No error here repeats a value: a URL holds a password."""

import os
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def flag(name, default=False):
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is neither true nor false.")


def words(name, default=""):
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def database(name, base_dir):
    """sqlite:///relative.db, sqlite:////absolute.db or postgres://user:password@host:port/name.

    A relative path starts at `base_dir`, wherever the program was started.
    """
    url = _split(name)
    path = unquote(url.path[1:])
    if not path:
        raise ImproperlyConfigured(f"{name} names no database.")
    if url.scheme == "sqlite" and not url.netloc:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(base_dir / path)}
    if url.scheme in {"postgres", "postgresql"}:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": path,
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": url.hostname or "",
            "PORT": _port(url, name) or "",
            "CONN_MAX_AGE": 60,
        }
    raise ImproperlyConfigured(f"{name} is neither sqlite:/// nor postgres://")


def email(name):
    """smtp://user:password@host:port, or smtp+tls:// for STARTTLS. Without it, mail is dropped."""
    if not os.environ.get(name):
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    url = _split(name)
    if url.scheme not in {"smtp", "smtp+tls"} or not url.hostname:
        raise ImproperlyConfigured(f"{name} is neither smtp:// nor smtp+tls://")
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": url.hostname,
        "EMAIL_PORT": _port(url, name) or 25,
        "EMAIL_HOST_USER": unquote(url.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(url.password or ""),
        "EMAIL_USE_TLS": url.scheme == "smtp+tls",
    }


def _split(name):
    try:
        return urlsplit(os.environ[name])
    except ValueError:
        raise ImproperlyConfigured(f"{name} is not a URL.") from None


def _port(url, name):
    try:
        return url.port
    except ValueError:
        raise ImproperlyConfigured(f"{name} has no valid port.") from None
