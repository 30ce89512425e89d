import type { EvidenceKind } from '../../core/evidence-kind.ts';

/** What a frame may not be asked for, whatever it is. */
const PERMISSIONS = [
  'accelerometer',
  'autoplay',
  'camera',
  'clipboard-read',
  'clipboard-write',
  'display-capture',
  'fullscreen',
  'geolocation',
  'gyroscope',
  'hid',
  'magnetometer',
  'microphone',
  'midi',
  'payment',
  'serial',
  'usb',
]
  .map((name) => `${name}=()`)
  .join(', ');

/** What no policy can be made of: it would end a source, or the policy. */
const HOST = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/**
 * Of evidence as its bytes: sandboxed, so that it is in an origin of its own wherever it is opened; never guessed; told to nobody. What is
 * active may run, and load files of its own package, by the address that it came under; nothing else can be asked for.
 */
export function evidenceHeaders(kind: EvidenceKind, host: string, token: string): Record<string, string> {
  return {
    'Content-Security-Policy': kind === 'active' ? activePolicy(host, token) : "sandbox; default-src 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'X-Robots-Tag': 'noindex, nofollow',
    'X-DNS-Prefetch-Control': 'off',
    'Permissions-Policy': PERMISSIONS,
    'Cache-Control': 'private, no-store',
    // A sandboxed report is cross-origin to the service that sends it: whoever has the address may load it.
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'Cross-Origin-Opener-Policy': 'unsafe-none',
    'Access-Control-Allow-Origin': '*',
  };
}

/** `'self'` would be the whole service: the source is the one address below which the package's files are. */
function activePolicy(host: string, token: string): string {
  const own = HOST.test(host) && /^[\w.-]+$/.test(token) ? `${host}/ui/evidence/${token}/` : "'none'";
  return [
    'sandbox allow-scripts',
    "default-src 'none'",
    `script-src 'unsafe-inline' 'unsafe-eval' blob: ${own}`,
    `style-src 'unsafe-inline' ${own}`,
    `img-src data: blob: ${own}`,
    `font-src data: ${own}`,
    `media-src data: blob: ${own}`,
    `connect-src data: blob: ${own}`,
    `frame-src data: blob: ${own}`,
    `base-uri ${own}`,
    'worker-src blob:',
    "object-src 'none'",
    "form-action 'none'",
  ].join('; ');
}

/** Of a page that a link shows: for nobody who does not have it. */
export const SHARED_HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Robots-Tag': 'noindex, nofollow, noarchive',
};
