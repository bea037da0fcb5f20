"""Two databases: some apps have theirs for themselves."""

from django.conf import settings


class AppsAwayRouter:
    """Sends the apps of ``APPS_AWAY`` to the database ``away``, and all others to ``default``.

    What has a key to the users is where they are: the table of subjects, and the profiles.
    """

    def db_for_read(self, model, **hints):
        return _database_of(model._meta.app_label, model._meta.model_name)

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db == _database_of(app_label, model_name)


def _database_of(app_label, model_name):
    if model_name == "issuersubject" or app_label == "people":
        app_label = settings.AUTH_USER_MODEL.partition(".")[0]
    return "away" if app_label in settings.APPS_AWAY else "default"
