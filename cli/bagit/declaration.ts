import { DECLARATION_FILE } from '../../src/core/bag-names.ts';
import { badBag } from './bag-problems.ts';
import { isKnownEncoding } from './tag-lines.ts';

/** What bagit.txt says. */
export interface BagDeclaration {
  /** As it stands there. */
  version: string;
  /** 1.0 or later: RFC 8493, which is stricter than the drafts before it. */
  isFinal: boolean;
  encoding: string;
}

const VERSION = /^BagIt-Version: (0\.9[3-7]|1\.0)$/;
const ANY_VERSION = /^BagIt-Version: \d+\.\d+$/;
const ENCODING = /^Tag-File-Character-Encoding: (\S+)$/;
const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Two lines, nothing else (RFC 8493, 2.1.1). @throws CliError bag_invalid */
export function parseDeclaration(bytes: Buffer): BagDeclaration {
  if (bytes.subarray(0, 3).equals(MARK))
    throw badBag(`${DECLARATION_FILE} begins with a byte order mark, which it must not have.`);
  const lines = bytes.toString('latin1').split(/\r\n|\n|\r/);
  while (lines.at(-1) === '') lines.pop();
  const [first = '', second = ''] = lines;
  const version = VERSION.exec(first)?.[1];
  if (version === undefined) {
    const why = ANY_VERSION.test(first)
      ? 'names a version of BagIt that is not known here: 0.93 to 0.97 and 1.0 are'
      : 'does not begin with a line such as "BagIt-Version: 1.0"';
    throw badBag(`${DECLARATION_FILE} ${why}.`);
  }
  const encoding = ENCODING.exec(second)?.[1];
  if (encoding === undefined)
    throw badBag(`The second line of ${DECLARATION_FILE} is not such as "Tag-File-Character-Encoding: UTF-8".`);
  if (!isKnownEncoding(encoding))
    throw badBag(`${DECLARATION_FILE} names the encoding ${JSON.stringify(encoding)}, which is not known here.`);
  if (lines.length > 2) throw badBag(`${DECLARATION_FILE} has more than two lines.`);
  return { version, isFinal: version === '1.0', encoding };
}
