/** How a bucket is reached through one endpoint. */
export interface BucketAddress {
  protocol: 'http:' | 'https:';
  /** As it stands in the URL and in the Host header. */
  host: string;
  /** The path of an object, encoded; of the bucket without a name. */
  path(name?: string): string;
}

/** @param endpoint null: AWS, in the region @throws TypeError, RangeError if it is not an endpoint */
export function bucketAddress(
  endpoint: string | null,
  { region, bucket, forcePathStyle }: { region: string; bucket: string; forcePathStyle: boolean },
): BucketAddress {
  const url = new URL(endpoint ?? awsEndpoint(region));
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RangeError(`${url.href} is not an HTTP endpoint`);
  const base = url.pathname.replace(/\/+$/, '') + (forcePathStyle ? `/${bucket}` : '');
  return {
    protocol: url.protocol,
    host: forcePathStyle ? url.host : `${bucket}.${url.host}`,
    path: (name) => (name === undefined ? base || '/' : `${base}/${name.split('/').map(encodeSegment).join('/')}`),
  };
}

export function awsEndpoint(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

/** As signatures need it: everything but RFC 3986's unreserved characters. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
