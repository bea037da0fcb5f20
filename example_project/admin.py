from django.contrib import admin

from .models import Department, Note, Profile


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):
    list_display = ["text", "owner", "written_at"]


@admin.register(Department)
class DepartmentAdmin(admin.ModelAdmin):
    list_display = ["code", "name"]


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin):
    list_display = ["user", "department"]
    list_select_related = ["user", "department"]


admin.site.site_header = admin.site.site_title = "django-at-jwt example"
