"""Authorizations with their user, client and end; the deny list; the link between rows and ``jti``."""

import uuid
from typing import Any

import django.utils.timezone
from django.apps import apps as installed_apps
from django.db import migrations, models

import django_at_jwt.models.authorization

_BATCH = 500


def fill_authorizations(apps: Any, schema_editor: Any) -> None:
    """Split the former key, and fill in the user and client of live families of refresh tokens."""
    using = schema_editor.connection.alias
    rows = apps.get_model("django_at_jwt", "Authorization").objects.using(using)
    columns = ["identifier", "code_hash", "family", "user_model", "user_key", "client_model", "client_key"]
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:_BATCH]):
        last = batch[-1].pk
        for row in batch:
            row.identifier = django_at_jwt.models.authorization.new_identifier()
            kind, _, value = row.key.partition(":")
            if kind == "f":
                row.family = uuid.UUID(value)
            else:
                row.code_hash = value
        holders = _holders([row.family for row in batch if row.family is not None])
        for row in batch:
            for name, value in holders.get(row.family, {}).items():
                setattr(row, name, value)
        rows.bulk_update(batch, columns)


def restore_keys(apps: Any, schema_editor: Any) -> None:
    """Join the former key again, from the family or the code."""
    rows = apps.get_model("django_at_jwt", "Authorization").objects.using(schema_editor.connection.alias)
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:_BATCH]):
        last = batch[-1].pk
        for row in batch:
            row.key = f"c:{row.code_hash or row.identifier}" if row.family is None else f"f:{row.family.hex}"
        rows.bulk_update(batch, ["key"])


def _holders(families: list[uuid.UUID]) -> dict[uuid.UUID, dict[str, str]]:
    """Return the references to user and client by family, from the refresh tokens of the site's model."""
    if not families or not installed_apps.is_installed("oauth2_provider"):
        return {}
    from oauth2_provider.models import get_refresh_token_model

    model = get_refresh_token_model()
    found: dict[uuid.UUID, dict[str, str]] = {}
    for family, user, client in (
        model._default_manager.filter(token_family__in=families)
        .order_by()
        .values_list("token_family", "user_id", "application_id")
        .distinct()
    ):
        references = found.setdefault(family, {})
        for name, field, key in (("user", "user", user), ("client", "application", client)):
            if key is not None:
                related = model._meta.get_field(field).related_model
                references[f"{name}_model"] = related._meta.concrete_model._meta.label
                references[f"{name}_key"] = str(key)
    return found


class Migration(migrations.Migration):
    dependencies = [("django_at_jwt", "0003_help_texts")]

    operations = [
        migrations.CreateModel(
            name='DenyListEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('token', 'token'), ('authorization', 'authorization'), ('client', 'client'), ('audience', 'audience')], max_length=16, verbose_name='kind')),
                ('value', models.CharField(max_length=255, verbose_name='value')),
                ('issued_until', models.DateTimeField(blank=True, help_text='Concerns tokens issued up to this instant; empty: all.', null=True, verbose_name='issued until')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True, verbose_name='digest')),
                ('reason', models.CharField(blank=True, choices=[('token_revoked', 'its token was revoked'), ('refresh_token_reused', 'a refresh token was used again'), ('code_replayed', 'the authorization code was used again'), ('logout', 'the user logged out'), ('user_deactivated', 'the user was deactivated'), ('user_deleted', 'the user was deleted'), ('password_changed', "the user's password was changed"), ('client_deleted', 'the client was deleted'), ('client_revoked', 'all tokens of the client were revoked'), ('superseded', 'replaced by a refresh'), ('api_disabled', 'the API was disabled'), ('key_revoked', 'a signing key was revoked'), ('administrator', 'revoked by an administrator')], max_length=64, verbose_name='reason')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created at')),
                ('expires_at', models.DateTimeField(db_index=True, help_text='When the last token that it concerns has expired, plus leeway.', verbose_name='expires at')),
            ],
            options={
                'verbose_name': 'deny list entry',
                'verbose_name_plural': 'deny list entries',
                'ordering': ['-pk'],
                'permissions': [('revoke_tokens', 'Can revoke tokens')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='IssuedToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('access_token', models.CharField(max_length=64, unique=True, verbose_name='primary key of the access token')),
                ('token_id', models.CharField(db_index=True, max_length=80, verbose_name='jti')),
                ('authorization', models.CharField(blank=True, db_index=True, max_length=32, verbose_name='authorization')),
                ('has_refresh_token', models.BooleanField(default=False, verbose_name='has a refresh token')),
                ('expires_at', models.DateTimeField(db_index=True, verbose_name='expires at')),
            ],
            options={
                'verbose_name': 'issued token',
                'verbose_name_plural': 'issued tokens',
                'default_permissions': (),
            },
        ),
        migrations.AlterModelOptions(
            name='authorization',
            options={'default_permissions': ('view',), 'verbose_name': 'authorization', 'verbose_name_plural': 'authorizations'},
        ),
        migrations.AlterField(
            model_name='authorization',
            name='key',
            field=models.CharField(max_length=66, null=True, unique=True, verbose_name='key'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='client_key',
            field=models.CharField(blank=True, max_length=64, verbose_name='client'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='client_model',
            field=models.CharField(blank=True, max_length=100, verbose_name='client model'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='code_hash',
            field=models.CharField(blank=True, max_length=64, null=True, unique=True, verbose_name='hash of the code'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='code_used_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='code used at'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='created_at',
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created at'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='end_reason',
            field=models.CharField(blank=True, choices=[('token_revoked', 'its token was revoked'), ('refresh_token_reused', 'a refresh token was used again'), ('code_replayed', 'the authorization code was used again'), ('logout', 'the user logged out'), ('user_deactivated', 'the user was deactivated'), ('user_deleted', 'the user was deleted'), ('password_changed', "the user's password was changed"), ('client_deleted', 'the client was deleted'), ('client_revoked', 'all tokens of the client were revoked'), ('superseded', 'replaced by a refresh'), ('api_disabled', 'the API was disabled'), ('key_revoked', 'a signing key was revoked'), ('administrator', 'revoked by an administrator')], max_length=32, verbose_name='reason of the end'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='ended_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='ended at'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='family',
            field=models.UUIDField(blank=True, null=True, unique=True, verbose_name='family of refresh tokens'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='identifier',
            field=models.CharField(default='', editable=False, max_length=32, verbose_name='identifier'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='last_token_at',
            field=models.DateTimeField(blank=True, help_text='When its last token was issued, to the hour.', null=True, verbose_name='last token'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='tokens_expire_at',
            field=models.DateTimeField(blank=True, help_text='When all access tokens issued so far have expired.', null=True, verbose_name='tokens expire at'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='user_key',
            field=models.CharField(blank=True, max_length=64, verbose_name='user'),
        ),
        migrations.AddField(
            model_name='authorization',
            name='user_model',
            field=models.CharField(blank=True, max_length=100, verbose_name='user model'),
        ),
        migrations.AlterField(
            model_name='authorization',
            name='expires_at',
            field=models.DateTimeField(db_index=True, help_text='Kept until then, even if no token of it is stored.', verbose_name='expires at'),
        ),
        migrations.AddIndex(
            model_name='authorization',
            index=models.Index(fields=['user_key', 'user_model'], name='at_jwt_authorization_user'),
        ),
        migrations.AddIndex(
            model_name='authorization',
            index=models.Index(fields=['client_key', 'client_model'], name='at_jwt_authorization_client'),
        ),
        migrations.RunPython(fill_authorizations, restore_keys),
        migrations.AlterField(
            model_name='authorization',
            name='identifier',
            field=models.CharField(
                default=django_at_jwt.models.authorization.new_identifier,
                editable=False,
                max_length=32,
                unique=True,
                verbose_name='identifier',
            ),
        ),
        migrations.RemoveField(
            model_name='authorization',
            name='key',
        ),
    ]
