from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('django_at_jwt', '0010_affected_tokens'),
    ]

    operations = [
        migrations.CreateModel(
            name='ClientOptions',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_model', models.CharField(editable=False, max_length=100, verbose_name='client model')),
                ('client_key', models.CharField(max_length=64, verbose_name='client')),
                ('store_access_tokens', models.BooleanField(blank=True, choices=[(None, 'as in the settings'), (True, 'yes'), (False, 'no')], help_text='Whether its access tokens get a row in the database. Opaque tokens always get one.', null=True, verbose_name='store access tokens')),
            ],
            options={
                'verbose_name': 'client options',
                'verbose_name_plural': 'client options',
                'constraints': [models.UniqueConstraint(fields=('client_key', 'client_model'), name='at_jwt_client_options_client')],
            },
        ),
    ]
