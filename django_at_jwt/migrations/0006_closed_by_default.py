from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('django_at_jwt', '0005_client_secret_key'),
    ]

    operations = [
        migrations.AlterField(
            model_name='resourceserver',
            name='clients',
            field=models.JSONField(blank=True, default=list, help_text='The only clients that get tokens for it, unless it is open to all. Without any, no client does.', verbose_name='clients'),
        ),
        migrations.AlterField(
            model_name='resourceserver',
            name='open_to_all_clients',
            field=models.BooleanField(default=False, help_text='Any client may request it, including clients that are registered later or register themselves.', verbose_name='open to all clients'),
        ),
    ]
