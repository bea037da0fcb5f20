from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('django_at_jwt', '0008_keys_console'),
    ]

    operations = [
        migrations.CreateModel(
            name='RotationRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(editable=False, verbose_name='at')),
                ('changed', models.BooleanField(editable=False, verbose_name='changed something')),
                ('problem', models.CharField(blank=True, editable=False, help_text='Why it failed.', max_length=500, verbose_name='problem')),
                ('succeeded_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='last success at')),
            ],
            options={
                'verbose_name': 'run of the rotation',
                'verbose_name_plural': 'runs of the rotation',
                'default_permissions': (),
            },
        ),
    ]
