"""The link between the first access token of an authorization and its row."""

from typing import Any

from django.apps import apps as installed_apps
from django.db import migrations, models, router
from django.utils import timezone

_BATCH = 500


def link_first_tokens(apps: Any, schema_editor: Any) -> None:
    """Store the links of live first tokens where the former version looks for them."""
    if not installed_apps.is_installed("oauth2_provider"):
        return
    from oauth2_provider.models import get_access_token_model

    using, last = schema_editor.connection.alias, 0
    model = get_access_token_model()
    # A replica may lag behind.
    tokens = model._default_manager.using(router.db_for_write(model))
    links = apps.get_model("django_at_jwt", "IssuedToken")
    authorizations = apps.get_model("django_at_jwt", "Authorization").objects.using(using)
    live = authorizations.filter(first_token_expires_at__gt=timezone.now())
    while batch := list(live.filter(pk__gt=last).order_by("pk")[:_BATCH]):
        last = batch[-1].pk
        rows = tokens.filter(token_checksum__in=[row.first_token_checksum for row in batch])
        keys = dict(rows.values_list("token_checksum", "pk"))
        links.objects.using(using).bulk_create(
            (
                links(
                    access_token=str(keys[row.first_token_checksum]),
                    token_id=row.first_token_id,
                    authorization=row.identifier,
                    kid=row.first_token_kid,
                    has_refresh_token=row.family is not None,
                    expires_at=row.first_token_expires_at,
                )
                for row in batch
                if row.first_token_checksum in keys
            ),
            ignore_conflicts=True,
        )


class Migration(migrations.Migration):

    dependencies = [
        ('django_at_jwt', '0015_cheaper_updates'),
    ]

    operations = [
        migrations.AddField(
            model_name='authorization',
            name='first_token_checksum',
            field=models.CharField(blank=True, max_length=64, null=True, verbose_name="checksum of the first access token's row"),
        ),
        migrations.AddField(
            model_name='authorization',
            name='first_token_expires_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='first access token expires at'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='first_token_id',
            field=models.CharField(blank=True, max_length=80, null=True, verbose_name='jti of the first access token'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='first_token_kid',
            field=models.CharField(blank=True, max_length=43, null=True, verbose_name='kid of the first access token'),
        ),
        migrations.AddIndex(
            model_name='authorization',
            index=models.Index(fields=['first_token_kid', 'first_token_expires_at'], name='at_jwt_authorization_key'),
        ),
        migrations.AddConstraint(
            model_name='authorization',
            constraint=models.UniqueConstraint(fields=('first_token_checksum',), name='at_jwt_authorization_token'),
        ),
        migrations.RunPython(migrations.RunPython.noop, link_first_tokens),
    ]
