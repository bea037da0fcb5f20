"""Who may register clients in tests; django-oauth-toolkit's own classes have other paths after version 3.4."""


class AnybodyMayRegister:
    def has_permission(self, request):
        return True


OPEN_REGISTRATION = {
    "DCR_ENABLED": True,
    "DCR_REGISTRATION_PERMISSION_CLASSES": ["tests.site.registration.AnybodyMayRegister"],
}
