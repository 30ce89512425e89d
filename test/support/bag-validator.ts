import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/**
 * A validator of bags of version 1.0 that shares no code with ours, after RFC 8493: what bagit-python would be used for, if Debian or
 * the package index of the build had it.
 */
const VALIDATOR = `
import hashlib, os, re, sys
bag = sys.argv[1]
def read(name):
    with open(os.path.join(bag, name), 'rb') as f:
        return f.read()
assert read('bagit.txt') == b'BagIt-Version: 1.0\\nTag-File-Character-Encoding: UTF-8\\n', 'bagit.txt'
files = {}
for folder, _, names in os.walk(bag):
    for name in names:
        path = os.path.join(folder, name)
        assert not os.path.islink(path), path
        files[os.path.relpath(path, bag)] = hashlib.sha256(open(path, 'rb').read()).hexdigest()
def manifest(name):
    listed = {}
    for line in read(name).decode('utf-8').split('\\n')[:-1]:
        digest, path = re.fullmatch(r'([0-9a-f]{64})  (.+)', line).groups()
        path = re.sub('%(0[AD]|25)', lambda m: chr(int(m.group(1), 16)), path)
        assert path not in listed, path
        listed[path] = digest
    return listed
payload = {path: digest for path, digest in files.items() if path.startswith('data/')}
assert manifest('manifest-sha256.txt') == payload, 'payload'
tags = {path: digest for path, digest in files.items() if path not in payload and path != 'tagmanifest-sha256.txt'}
assert manifest('tagmanifest-sha256.txt') == tags, 'tags'
info = re.findall(r'([^:\\n]+): (.*)\\n', read('bag-info.txt').decode('utf-8'))
oxum = '%d.%d' % (sum(os.path.getsize(os.path.join(bag, p)) for p in payload), len(payload))
assert ('Payload-Oxum', oxum) in info, 'Payload-Oxum'
`;

/** @throws what is wrong with the bag */
export async function validateBag(folder: string): Promise<void> {
  await exec('python3', ['-c', VALIDATOR, folder], { env: { ...process.env, PYTHONUTF8: '1' } });
}
