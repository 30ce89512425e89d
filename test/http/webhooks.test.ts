import { webhooksSuite } from '../suites/http/webhooks.ts';
import { startTestService } from '../support/service.ts';

webhooksSuite(startTestService);
