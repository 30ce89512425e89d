/** What must follow an anchor for it to be one. */
export type Follows =
  /** What credentials are made of, at once: at least TOKEN_MIN bytes. */
  | 'token'
  /** The same, after one space. */
  | 'spaced token'
  /** What stands between a name and its value, in any of the formats of logs and reports. */
  | 'value'
  /** Anything. */
  | 'anything';

/** Bytes without which no rule finds anything. */
export interface AnchorWord {
  /** At least four ASCII characters. */
  text: string;
  follows: Follows;
  /** In capitals and small letters alike. */
  anyCase?: boolean;
}

const BEHIND = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_';

/** In names of parameters, headers and properties. */
const NAMES = ['secret', 'passw', 'passphrase', 'token', 'apikey', 'api_key', 'api-key'];
const CLOUD_NAMES = ['accountkey', 'sharedaccesskey'];

/** With which a credential begins: those of the preset's rules, then those of ours. */
const PREFIXES = [
  ...['npm_', 'xoxb-', 'xoxp-', 'xapp-', 'xoxa-', 'xoxo-', 'xoxr-', 'sk-ant-', 'gsk_', 'lin_api_', 'ntn_'],
  ...['sk-proj-', 'sk-svcacct-', 'sk-admin-', 'shppa_', 'shpca_', 'shpat_', 'shpss_'],
  ...['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_', 'ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'],
  ...['glpat-', 'glc_', 'glsa_', 'ops_ey', 'hvs.', 'hvb.', 'hvr.', 'vcp_', 'vci_', 'vca_', 'vcr_', 'vck_', 'dapi'],
  ...['dckr_pat_', 'figd_', 'cfk_', 'cfut_', 'cfat_', 'tskey-'],
  ...['AIza', 'GOCSPX-', 'ya29.', 'dop_v1_', 'doo_v1_', 'dor_v1_'],
  // A JSON object that begins with a member of JOSE headers (RFC 7515): alg, typ, kid, x5t, enc, cty, jku, jwk, zip.
  ...['eyJhbG', 'eyJ0eX', 'eyJraW', 'eyJ4NX', 'eyJlbm', 'eyJjdH', 'eyJqa3', 'eyJqd2', 'eyJ6aX'],
];

/** Too short to be looked for without the character behind them. */
const SHORT_PREFIXES = ['SG.', 'hf_'].flatMap((prefix) => [...BEHIND].map((character) => prefix + character));

/**
 * The anchors of all rules, except an `@` behind a scheme, which the search looks for by itself. A rule that is added, here or
 * in the preset, needs its anchors here: a test gives every rule what it finds, through the search.
 */
export const ANCHOR_WORDS: readonly AnchorWord[] = [
  ...[...NAMES, ...CLOUD_NAMES].map((text): AnchorWord => ({ text, follows: 'value', anyCase: true })),
  ...['bearer', 'basic'].map((text): AnchorWord => ({ text, follows: 'spaced token', anyCase: true })),
  ...[...PREFIXES, ...SHORT_PREFIXES].map((text): AnchorWord => ({ text, follows: 'token' })),
  // The older keys of OpenAI have this in their middle.
  { text: 'T3BlbkFJ', follows: 'token' },
  { text: '-----BEGIN', follows: 'anything' },
  { text: 'hooks.slack.com', follows: 'anything', anyCase: true },
  ...['sig=', 'pwd=', 'pwd:', 'pwd"', "pwd'", 'pwd<', 'pwd\\', 'pwd =', 'pwd :'].map(
    (text): AnchorWord => ({ text, follows: 'anything', anyCase: true }),
  ),
];
