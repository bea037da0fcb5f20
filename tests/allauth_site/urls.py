from django.urls import include, path

from tests.site.urls import urlpatterns as urls_of_the_site

urlpatterns = [
    *urls_of_the_site,
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
]
