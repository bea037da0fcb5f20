from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('django_at_jwt', '0011_without_rows'),
    ]

    operations = [
        migrations.AddField(
            model_name='resourceserver',
            name='aliases',
            field=models.JSONField(blank=True, default=list, help_text='If the API has moved. Requests may still name them, and existing refresh tokens keep working, but the aud claim of new tokens contains the identifier above.', null=True, verbose_name='former identifiers'),
        ),
    ]
