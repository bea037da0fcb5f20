"""Pages on which users end tokens: the page of authorized tokens, and the logout by an OpenID Connect client.

Token requests lock the authorization before its tokens, django-oauth-toolkit's views the tokens first. So these views
lock it before they continue, and no two requests wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_id_token_model,
    get_refresh_token_model,
)
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.activity import usable_refresh_tokens
from django_at_jwt.authorization_server.revocation.authorizations import (
    authorizations_of_access_tokens,
    lock_authorizations,
)
from django_at_jwt.authorization_server.revocation.reasons import because
from django_at_jwt.authorization_server.revocation.revoke import end_authorizations, one_transaction
from django_at_jwt.authorization_server.toolkit import InvalidOIDCClientError
from django_at_jwt.models.authorization import EndReason
from django_at_jwt.models.primary import primary_rows

from .endpoint import EndpointMixin

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse


class AuthorizedTokensListView(EndpointMixin, toolkit_views.AuthorizedTokensListView):
    """DOT's page that lists a user's tokens."""

    def get_queryset(self) -> QuerySet[Any]:
        """Return the tokens that have not expired or can be refreshed; a revocation leaves expired rows."""
        tokens: QuerySet[Any] = super().get_queryset()
        refresh_tokens = get_refresh_token_model().objects.using(tokens.db).filter(user=self.request.user)
        now = timezone.now()
        refreshable = usable_refresh_tokens(refresh_tokens, now).values("access_token")
        return tokens.filter(Q(expires__gt=now) | Q(pk__in=refreshable))


class AuthorizedTokenDeleteView(EndpointMixin, toolkit_views.AuthorizedTokenDeleteView):
    """DOT's page on which a user revokes a token."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Revoke the token and its authorization."""
        with one_transaction():
            lock_authorizations(authorizations_of_access_tokens([self.object.pk]))
            return super().form_valid(form)


class RPInitiatedLogoutView(EndpointMixin, toolkit_views.RPInitiatedLogoutView):
    """DOT's logout by an OpenID Connect client, which can delete the user's tokens."""

    def get_request_application(self, id_token: Any, client_id: str | None, *args: Any, **kwargs: Any) -> Any:
        """Return the client that asks for the logout, or ``None`` if the request names none.

        django-oauth-toolkit after 3.4 passes the claims of the ID token too.

        Raises:
            InvalidOIDCClientError: the request names a client that does not exist.
        """
        try:
            application = super().get_request_application(id_token, client_id, *args, **kwargs)
        except get_application_model().DoesNotExist:
            raise InvalidOIDCClientError from None
        # Some databases ignore case.
        if client_id and application.client_id != client_id:
            raise InvalidOIDCClientError
        return application

    def do_logout(
        self,
        application: Any = None,
        post_logout_redirect_uri: Any = None,
        state: Any = None,
        token_user: Any = None,
    ) -> HttpResponse:
        """End the authorizations of the tokens that DOT deletes, then let DOT delete them and log the user out.

        They have ended even if DOT cannot redirect afterwards. If another logout deletes the same tokens, DOT does not
        find an ID token that it has listed, so the rest is deleted here.
        """
        arguments = (application, post_logout_redirect_uri, state, token_user)
        user = token_user or self.request.user
        with because(EndReason.LOGOUT):
            if not (oauth2_settings.OIDC_RP_INITIATED_LOGOUT_DELETE_TOKENS and user.is_authenticated):
                return super().do_logout(*arguments)
            deleted = primary_rows(get_access_token_model()).filter(
                user=user,
                application__client_type__in=self.token_deletion_client_types,
                application__authorization_grant_type__in=self.token_deletion_grant_types,
            )
            keys = deleted.values_list("pk", flat=True)
            end_authorizations(authorizations_of_access_tokens(keys), reason=EndReason.LOGOUT)
            # Those from before this app. Without their access tokens, they are not found any more.
            others = list(primary_rows(get_refresh_token_model()).filter(access_token__in=deleted, revoked=None))
            try:
                return super().do_logout(*arguments)
            except get_id_token_model().DoesNotExist:
                primary_rows(get_id_token_model()).filter(access_token__in=deleted).delete()
                deleted.delete()
                for refresh_token in others:
                    refresh_token.revoke()
                return super().do_logout(*arguments)
