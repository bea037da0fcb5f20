"""Two databases: some apps have theirs for themselves."""

from django.conf import settings


class AppsAwayRouter:
    """Sends the apps of ``APPS_AWAY`` to the database ``away``, and all others to ``default``."""

    def db_for_read(self, model, **hints):
        return _database_of(model._meta.app_label)

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return db == _database_of(app_label)


def _database_of(app_label):
    return "away" if app_label in settings.APPS_AWAY else "default"
