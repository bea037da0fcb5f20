from oauth2_provider.oauth2_validators import OAuth2Validator

from django_at_jwt.validators import AccessTokenValidatorMixin

from .models import Mailbox


class MailboxPasswords(OAuth2Validator):
    """What the site had before: the password grant is for mailboxes, and by mistake for the users of the admin site."""

    def validate_user(self, username, password, client, request, *args, **kwargs):
        mailbox = Mailbox.objects.filter(address=username).first()
        if mailbox is None:
            return super().validate_user(username, password, client, request, *args, **kwargs)
        request.user = mailbox
        return password == "the mailbox's password"


class SiteValidator(AccessTokenValidatorMixin, MailboxPasswords):
    pass
