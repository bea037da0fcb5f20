
import django.db.models.deletion
import django_at_jwt.models.issuer_subject
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='DeviceResources',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('device_code', models.CharField(max_length=100, unique=True, verbose_name='device code')),
                ('resources', models.JSONField(verbose_name='resources')),
                ('expires_at', models.DateTimeField(db_index=True, verbose_name='expires at')),
            ],
            options={
                'verbose_name': 'resources of a device',
                'verbose_name_plural': 'resources of devices',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='SigningKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kid', models.CharField(editable=False, help_text="The key's RFC 7638 thumbprint.", max_length=43, unique=True, verbose_name='kid')),
                ('algorithm', models.CharField(editable=False, max_length=16, verbose_name='algorithm')),
                ('public_jwk', models.JSONField(editable=False, verbose_name='public JWK')),
                ('private_jwe', models.TextField(blank=True, editable=False, verbose_name='encrypted private JWK')),
                ('announced_at', models.DateTimeField(editable=False, verbose_name='announced at')),
                ('signing_at', models.DateTimeField(editable=False, verbose_name='signs from')),
                ('retained_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='signs until')),
                ('retired_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='published until')),
                ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='revoked at')),
                ('revocation_reason', models.CharField(blank=True, editable=False, max_length=200, verbose_name='reason of the revocation')),
                ('last_token_expires_at', models.DateTimeField(blank=True, editable=False, help_text='When the last token that this key signed expires, as far as it was recorded.', null=True, verbose_name='last token expires at')),
            ],
            options={
                'verbose_name': 'signing key',
                'verbose_name_plural': 'signing keys',
                'ordering': ['algorithm', '-signing_at'],
                'permissions': [('rotate_signingkey', 'Can rotate signing keys'), ('revoke_signingkey', 'Can revoke signing keys')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='IssuerSubject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('issuer', models.TextField(verbose_name='issuer')),
                ('subject', models.TextField(verbose_name='subject')),
                ('digest', django_at_jwt.models.issuer_subject.SubjectDigestField(verbose_name='digest of issuer and subject')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='issuer_subjects', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'subject of an issuer',
                'verbose_name_plural': 'subjects of issuers',
                'ordering': ['pk'],
            },
        ),
    ]
