import type { Retention } from '../../src/api/types.ts';
import { sayExpiry } from '../../src/core/expiry-text.ts';
import { DECISIONS } from '../../src/core/retention-text.ts';
import { formatTime } from '../format.ts';
import type { Line } from './lines.ts';
import { activeHolds, holdTexts } from './package-lines.ts';

/** What is decided of a package, and how it came to that. */
export function retentionLines(retention: Retention, now: number): Line[] {
  const events = retention.events.map((event) => {
    const expiry = event.expires_after === null ? '' : `, expires ${formatTime(event.expires_after)}`;
    const reason = event.reason === null ? '' : `: ${event.reason}`;
    return `${formatTime(event.at)}  ${event.action} by ${event.actor}${expiry}${reason}`;
  });
  return [
    ['package', retention.package_id],
    ['class', retention.class],
    ['expires', sayExpiry(retention.expires_at, now)],
    ['decision', DECISIONS[retention.reason]],
    ['holds', ...holdTexts(activeHolds(retention.holds))],
    ['history', ...(events.length === 0 ? ['none'] : events)],
  ];
}
