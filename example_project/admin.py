from django.contrib import admin

from .models import Note


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):
    list_display = ["text", "owner", "written_at"]


admin.site.site_header = admin.site.site_title = "django-at-jwt example"
