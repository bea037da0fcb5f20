"""Views as a site has them before it adds this app, and as the documentation says to change them."""

from dataclasses import asdict
from importlib.util import find_spec

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider import views as toolkit_views

from django_at_jwt import oauth2_views
from django_at_jwt.authorization_server.toolkit import AllowForm

if find_spec("oauth2_provider.authorization_server"):
    from oauth2_provider.authorization_server.views.mixins import AuthorizationServerViewMixin
else:  # 3.4
    from oauth2_provider.views.mixins import OAuthLibMixin as AuthorizationServerViewMixin


class SiteForm(AllowForm):
    """A site's own consent form."""


class SiteAuthorization(toolkit_views.AuthorizationView):
    template_name = "own_views/authorize.html"
    form_class = SiteForm

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | {"site": "the site's own"}


class SiteToken(toolkit_views.TokenView):
    def authorization_flow_token_response(self, request, *args, **kwargs):
        response = super().authorization_flow_token_response(request, *args, **kwargs)
        response["X-Site"] = "token"
        return response


class SiteUserInfo(toolkit_views.UserInfoView):
    pass


class SiteRegistration(toolkit_views.DynamicClientRegistrationView):
    pass


class Authorization(oauth2_views.AuthorizationView, SiteAuthorization):
    pass


class Token(oauth2_views.TokenView, SiteToken):
    pass


class UserInfo(oauth2_views.UserInfoView):
    pass


class NamedLikeOurs(toolkit_views.TokenView):
    """Not recognised by its name: it is not a class of this app."""

    __module__ = "django_at_jwt.views"


def authorization_function(request):
    return toolkit_views.AuthorizationView.as_view()(request)


@csrf_exempt
@login_not_required
def token_function(request):
    return toolkit_views.TokenView.as_view()(request)


class UserInfoApi(toolkit_views.ScopedProtectedResourceView):
    """A userinfo endpoint that derives from another view of django-oauth-toolkit's."""

    required_scopes = ("openid",)

    def get(self, request):
        return JsonResponse({"sub": str(request.resource_owner.pk)})


class TokenApi(AuthorizationServerViewMixin, View):
    """A token endpoint that derives from no view of django-oauth-toolkit's."""


def function_that_answers(request):
    return HttpResponse("shadow")


class AuthorizationApi(oauth2_views.AuthorizationView):
    def render_to_response(self, context, **kwargs):
        page = super().render_to_response(context, **kwargs)
        if not isinstance(page, TemplateResponse):
            return page
        if "error" in context:
            return JsonResponse({"error": context["error"].error}, status=page.status_code)
        apis = [asdict(server) for server in context["consent"].servers]
        return JsonResponse({"apis": apis, "form": context["form"].initial})

    def redirect(self, redirect_to, application):
        response = super().redirect(redirect_to, application)
        return JsonResponse({"redirect_uri": response["Location"]})
