"""Form fields with a search box, for what a site can have thousands of, and the views that search."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from oauth2_provider.models import get_access_token_model

from .base import ModelAdmin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.utils.safestring import SafeString

    from .searchable import Searchable

    _Autocomplete = AutocompleteSelect
else:
    _Autocomplete = object

# Names Django's search boxes after their fields, for screen readers.
SEARCH_LABELS: Final = forms.Media(
    js=["django_at_jwt/search_labels.js"], css={"all": ["django_at_jwt/search_fields.css"]}
)
_PER_PAGE: Final = 20
# Each word adds conditions to the query; a thousand take minutes, or are more than SQLite allows.
_LONGEST_TERM: Final = 255


def value_label(value: str, name: str) -> str:
    """Return a name with the value that it stands for, or the value alone if it has no other name."""
    return f"{name} ({value})" if name and name != value else value


class _SearchWidgetMixin(_Autocomplete):
    """Django's search box. Without JavaScript, the chosen values are listed, and others are typed."""

    typing_widget: type[forms.Widget]

    def __init__(self, searchable: Searchable, url: str) -> None:
        # Django's own search reads the relation and the site; this one has its own URL.
        super().__init__(get_access_token_model()._meta.get_field("application"), admin.site)
        self._searchable = searchable
        self._url = url

    @property
    def media(self) -> forms.Media:
        """The scripts of the search box, and one that names it."""
        return super().media + SEARCH_LABELS

    def get_url(self) -> str:
        """Return the URL of the search."""
        return self._url

    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> list[Any]:
        """Return the chosen values as options. JavaScript adds those that it finds."""
        chosen = list(filter(None, value))
        names = self._searchable.names(chosen)
        labels = {
            each: value_label(each, names[each]) if each in names else self._searchable.missing_label % {"value": each}
            for each in chosen
        }
        empty = [] if self.allow_multiple_selected else [("", "---------")]
        self.choices = [*empty, *labels.items()]
        return forms.Select.optgroups(self, name, list(value), attr)

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """Return the HTML, with a text field for browsers without JavaScript."""
        text = self._searchable.multiple_prompt if self.allow_multiple_selected else self._searchable.single_prompt
        typing = self.typing_widget(attrs={"aria-label": text, "placeholder": text})
        field = typing.render(_typed(name), "", renderer=renderer)
        return format_html("{}<noscript>{}</noscript>", super().render(name, value, attrs, renderer), field)


class SearchWidget(_SearchWidgetMixin, AutocompleteSelect):
    """A search box for one value."""

    typing_widget = forms.TextInput

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the typed value, or else the chosen one."""
        return data.get(_typed(name), "").strip() or super().value_from_datadict(data, files, name)


class MultipleSearchWidget(_SearchWidgetMixin, AutocompleteSelectMultiple):
    """A search box for several values."""

    typing_widget = forms.Textarea

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the chosen values, then the typed ones."""
        typed = [line.strip() for line in data.get(_typed(name), "").splitlines()]
        return list(dict.fromkeys([*(super().value_from_datadict(data, files, name) or ()), *filter(None, typed)]))


def _typed(name: str) -> str:
    return f"{name}-typed"


class _SearchFieldMixin(forms.ChoiceField):
    """Accepts values that exist."""

    search_widget: type[_SearchWidgetMixin]
    _stored: Iterable[str] = ()

    def __init__(self, searchable: Searchable, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._searchable = searchable

    def search_at(self, url: str, *, stored: Iterable[str] = ()) -> None:
        """Show a search box.

        Args:
            url: the URL of the search.
            stored: values that stay valid if they no longer exist, until an administrator removes them.
        """
        self._stored = stored
        # One for each form: its script depends on the language.
        self.widget = self.search_widget(self._searchable, url)
        self.widget.is_required = self.required

    def validate(self, value: Any) -> None:
        """Check that the values exist."""
        wanted = value if isinstance(value, list) else [value]
        self.choices = [(each, each) for each in {*self._searchable.names(wanted), *self._stored}]
        super().validate(value)


class SearchField(_SearchFieldMixin):
    """One value."""

    search_widget = SearchWidget


class MultipleSearchField(_SearchFieldMixin, forms.MultipleChoiceField):
    """Several values."""

    search_widget = MultipleSearchWidget


class SearchAdminMixin(ModelAdmin):
    """Adds the searches that the fields of the form use, for users who may open the form."""

    # The form finds the URLs of the searches by the same names.
    searches: ClassVar[Mapping[str, Searchable]] = {}

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with those of the searches."""
        return [*self.get_search_urls(), *super().get_urls()]

    def get_search_urls(self) -> list[URLPattern]:
        """Return the URLs of the searches."""
        return [
            path(
                f"{name.replace('_', '-')}/",
                self.admin_site.admin_view(partial(self.search_view, searchable=searchable)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, searchable in self.searches.items()
        ]

    def search_urls(self) -> dict[str, str]:
        """Return the URLs of the searches by name."""
        return {name: self.page_url(name) for name in self.searches}

    def may_search(self, request: HttpRequest) -> bool:
        """Return whether the user may open the form."""
        return self.has_add_permission(request) or self.has_change_permission(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's own
        """Return the form, which knows the URLs of the searches."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"search_urls": self.search_urls()})

    def search_view(self, request: HttpRequest, searchable: Searchable) -> JsonResponse:
        """Return a page of the values and names that contain all words of the term, as Django's search boxes expect.

        Only the first 255 characters of the term count.
        """
        if not self.may_search(request):
            raise PermissionDenied
        words = request.GET.get("term", "")[:_LONGEST_TERM].replace("\0", "").split()
        page = Paginator(searchable.matching(words), _PER_PAGE).get_page(request.GET.get("page"))
        results = [{"id": value, "text": value_label(value, name)} for value, name in page]
        return JsonResponse({"results": results, "pagination": {"more": page.has_next()}})
