// The `type` of a problem is /docs#its_error: goes there once the reference stands above it, and whenever another is asked for.
{
  const show = () => document.getElementById(location.hash.slice(1))?.scrollIntoView();
  document.querySelector('rapi-doc').addEventListener('spec-loaded', () => setTimeout(show, 500));
  addEventListener('hashchange', show);
}
