from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('django_at_jwt', '0006_closed_by_default'),
    ]

    operations = [
        migrations.CreateModel(
            name='IntrospectionClient',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_id', models.CharField(help_text='It gets the claims and the username of any active token, whichever API the token is for.', max_length=255, unique=True, verbose_name='client')),
            ],
            options={
                'verbose_name': 'client that introspects all tokens',
                'verbose_name_plural': 'clients that introspect all tokens',
                'ordering': ['client_id'],
            },
        ),
        migrations.AddField(
            model_name='resourceserver',
            name='introspection_clients',
            field=models.JSONField(blank=True, default=list, help_text="Clients that may introspect its tokens: usually the API's own.", verbose_name='introspecting clients'),
        ),
    ]
