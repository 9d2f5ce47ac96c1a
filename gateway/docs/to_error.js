// The `type` of a problem is /docs#its_error. The reference above it grows for a while as it is drawn: so the
// error is brought into sight each time that it moved, until the reader takes over.
{
  let leads = true;
  const show = () => leads && document.getElementById(location.hash.slice(1))?.scrollIntoView();
  const lead = () => { leads = true; show(); };
  for (const taken of ['wheel', 'touchstart', 'keydown', 'pointerdown'])
    addEventListener(taken, () => { leads = false; }, {passive: true});
  new ResizeObserver(show).observe(document.querySelector('rapi-doc'));
  document.querySelector('rapi-doc').addEventListener('spec-loaded', show);
  addEventListener('hashchange', lead);
}
