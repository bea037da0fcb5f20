"""An admin site with Django's own pages alone, for comparison: its pages have all kinds of fields that ours have."""

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, Permission, User


class LogEntryAdmin(ModelAdmin):
    list_display = ("object_repr", "user", "action_time", "action_flag")
    list_filter = ("action_flag", "content_type")
    search_fields = ("object_repr",)
    autocomplete_fields = ("user",)
    readonly_fields = ("action_time",)
    fieldsets = (
        (None, {"fields": ("user", "action_flag", "action_time")}),
        ("More", {"fields": ("content_type", "object_repr", "change_message")}),
    )


class PermissionAdmin(ModelAdmin):
    search_fields = ("codename",)
    search_help_text = "Searches the code name."


class GroupAdmin(ModelAdmin):
    autocomplete_fields = ("permissions",)


class StockUserAdmin(UserAdmin):
    change_form_template = "admin/change_form.html"  # The app has a template for the page of a user.


site = AdminSite(name="stock")
site.register(LogEntry, LogEntryAdmin)
site.register(Permission, PermissionAdmin)
site.register(Group, GroupAdmin)
site.register(User, StockUserAdmin)
