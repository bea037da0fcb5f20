"""Who may register clients in tests; django-oauth-toolkit's own classes have other paths after version 3.4."""


class AnybodyMayRegister:
    def has_permission(self, request):
        return True
