import { SigningKey, SigningKeyList } from '../../../../src/api/keys.ts';
import { document } from './answer.ts';

export const signingKey = document(SigningKey);
export const signingKeys = document(SigningKeyList);
