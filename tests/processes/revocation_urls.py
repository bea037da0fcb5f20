from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path
from django.views.decorators.http import require_POST

from django_at_jwt.admin_mixins import LogOutEverywhereMixin
from django_at_jwt.views import access_token_required
from tests.site.urls import urlpatterns as site_urlpatterns

admin.site.unregister(User)


@admin.register(User)
class SiteUserAdmin(LogOutEverywhereMixin, UserAdmin):
    pass


@access_token_required(scopes=["read"])
def plain(_request):
    return HttpResponse("ok")


@require_POST
def delete_account(request):
    request.user.delete()
    return HttpResponseRedirect("/")


urlpatterns = [*site_urlpatterns, path("plain/", plain), path("delete-account/", delete_account)]
