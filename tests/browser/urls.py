"""The example's URLs, and an admin site with stock pages."""

from django.urls import path

from example_project.urls import urlpatterns as example

from .stock_admin import site

urlpatterns = [path("stock/", site.urls), *example]
