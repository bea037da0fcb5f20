
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
            name='Authorization',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=66, unique=True, verbose_name='key')),
                ('scopes', models.TextField(blank=True, verbose_name='scopes')),
                ('resources', models.JSONField(default=list, verbose_name='resources')),
                ('authentication', models.JSONField(blank=True, null=True, verbose_name='authentication')),
                ('expires_at', models.DateTimeField(db_index=True, verbose_name='expires at')),
            ],
            options={
                'verbose_name': 'authorization',
                'verbose_name_plural': 'authorizations',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='ClaimMapper',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='What logs and previews call it.', max_length=100, unique=True, verbose_name='name')),
                ('enabled', models.BooleanField(default=True, verbose_name='enabled')),
                ('claim', models.CharField(help_text="The claim's name. A dot nests it in an object; write \\. for a dot.", max_length=255, verbose_name='claim')),
                ('source', models.JSONField(help_text='Where the value comes from.', verbose_name='source')),
                ('transforms', models.JSONField(blank=True, default=list, help_text='What is done to the value, step by step.', verbose_name='transforms')),
                ('type', models.CharField(choices=[('string', 'string'), ('integer', 'integer'), ('number', 'number'), ('boolean', 'boolean'), ('strings', 'list of strings'), ('integers', 'list of integers'), ('numbers', 'list of numbers'), ('booleans', 'list of booleans'), ('object', 'JSON object'), ('objects', 'list of JSON objects')], default='string', help_text='What the value must be in the end. A value of another type makes the mapper fail.', max_length=16, verbose_name='type')),
                ('conditions', models.JSONField(blank=True, default=dict, help_text='For which tokens it is meant; for all if left empty.', verbose_name='conditions')),
                ('when_missing', models.CharField(choices=[('leave_out', 'leave the claim out'), ('default', 'take the default'), ('fail', 'fail')], default='leave_out', max_length=16, verbose_name='without a value')),
                ('default', models.JSONField(blank=True, default=None, null=True, verbose_name='default')),
                ('merge', models.CharField(choices=[('overwrite', 'overwrite it'), ('append', 'append to the list'), ('if_absent', 'leave it as it is')], default='overwrite', max_length=16, verbose_name='if the claim is there already')),
                ('required', models.BooleanField(default=False, help_text='If the mapper fails, no token is issued. Otherwise it is left out.', verbose_name='required')),
                ('order', models.IntegerField(default=0, help_text='Mappers are applied in this order, and by their names within it.', verbose_name='order')),
                ('note', models.TextField(blank=True, verbose_name='note')),
            ],
            options={
                'verbose_name': 'claim mapper',
                'verbose_name_plural': 'claim mappers',
                'ordering': ['order', 'name'],
                'permissions': [('preview_claimmapper', 'Can preview access tokens')],
            },
        ),
        migrations.CreateModel(
            name='ResourceServer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('identifier', models.CharField(help_text='An absolute URI, for instance https://api.example.com/. Clients ask for it in the resource parameter, and the API finds it in the aud claim of its tokens, letter by letter.', max_length=255, unique=True, verbose_name='identifier')),
                ('name', models.CharField(help_text='Users read it when they are asked for consent.', max_length=100, verbose_name='name')),
                ('description', models.TextField(blank=True, help_text='What the API is for, in a sentence. Users read it, too.', verbose_name='description')),
                ('scopes', models.JSONField(blank=True, help_text='The scopes that mean something to this API. Without any: those that no other API names.', null=True, verbose_name='scopes')),
                ('lifetime', models.PositiveIntegerField(blank=True, help_text="Of its tokens, in seconds. Without one: the site's.", null=True, verbose_name='lifetime')),
                ('algorithm', models.CharField(blank=True, help_text="Its tokens are signed with it. Without one: the site's.", max_length=16, verbose_name='algorithm')),
                ('token_format', models.CharField(choices=[('at+jwt', 'at+jwt: a signed JWT, which the API verifies by itself'), ('opaque', 'opaque: a random string, which the API has to introspect')], default='at+jwt', max_length=8, verbose_name='format')),
                ('open_to_all_clients', models.BooleanField(default=True, verbose_name='open to all clients')),
                ('clients', models.JSONField(blank=True, default=list, help_text='Only these may ask for it, if it is not open to all.', verbose_name='clients')),
                ('isolated', models.BooleanField(default=False, help_text='A client must name it in the resource parameter, and its tokens are for no other API as well.', verbose_name='isolated')),
                ('is_default', models.BooleanField(default=False, help_text='Tokens are for this API where a client asks for none. Saving it takes the mark from any other API.', verbose_name='default')),
                ('enabled', models.BooleanField(default=True, help_text='Switched off, there are no new tokens for this API.', verbose_name='enabled')),
            ],
            options={
                'verbose_name': 'resource server',
                'verbose_name_plural': 'resource servers',
                'ordering': ['identifier'],
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
