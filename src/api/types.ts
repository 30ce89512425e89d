import type { z } from 'zod';
import type * as schemas from './schemas.ts';

/** The wire contract as types alone: importing this loads nothing. */
export type CreatePackage = z.infer<typeof schemas.CreatePackage>;
export type Package = z.infer<typeof schemas.Package>;
export type PackageList = z.infer<typeof schemas.PackageList>;
export type Link = z.infer<typeof schemas.Link>;
export type RegisterFiles = z.infer<typeof schemas.RegisterFiles>;
export type RegisteredFiles = z.infer<typeof schemas.RegisteredFiles>;
export type File = z.infer<typeof schemas.File>;
export type FileList = z.infer<typeof schemas.FileList>;
export type PlanUploads = z.infer<typeof schemas.PlanUploads>;
export type PlannedUpload = z.infer<typeof schemas.PlannedUpload>;
export type PlannedUploads = z.infer<typeof schemas.PlannedUploads>;
export type PartRequest = z.infer<typeof schemas.PartRequest>;
export type PartUrlList = z.infer<typeof schemas.PartUrlList>;
export type Upload = z.infer<typeof schemas.Upload>;
export type CommittedUpload = z.infer<typeof schemas.CommittedUpload>;
export type DownloadList = z.infer<typeof schemas.DownloadList>;
export type RetentionClassList = z.infer<typeof schemas.RetentionClassList>;
export type EligibleList = z.infer<typeof schemas.EligibleList>;
export type Hold = z.infer<typeof schemas.Hold>;
export type RetentionEvent = z.infer<typeof schemas.RetentionEvent>;
export type Retention = z.infer<typeof schemas.Retention>;
export type AuditEvent = z.infer<typeof schemas.AuditEvent>;
export type AuditList = z.infer<typeof schemas.AuditList>;
export type Readiness = z.infer<typeof schemas.Readiness>;
export type Problem = z.infer<typeof schemas.Problem>;
